// Package respond writes answers. It alone decides which status an error gets,
// and it alone knows what of an error may be shown: a refusal has a public
// sentence, everything else is 500, logged once and told to nobody.
package respond
