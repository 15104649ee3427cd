package jose

// The pieces that published vectors exist for, but that the API does not show.

func ConcatKDF(shared, apu, apv []byte, alg string, size int) []byte {
	return agreement{shared: shared, apu: apu, apv: apv, alg: alg}.derive(size)
}

var (
	WrapKey   = wrapKey
	UnwrapKey = unwrapKey
)
