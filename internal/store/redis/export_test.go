package redis

// What the tests from outside look into.
var (
	Decode = decode
	Encode = encode
	Digits = digits
)
