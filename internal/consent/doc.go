// Package consent is what people allowed applications to do, remembered until
// they take it back.
package consent
