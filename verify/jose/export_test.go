package jose

// The pieces that published vectors exist for, but that the API does not show.

func ConcatKDF(shared, apu, apv []byte, alg string, size int) []byte {
	return agreement{shared: shared, apu: apu, apv: apv, alg: alg}.derive(size)
}

var (
	WrapKey   = wrapKey
	UnwrapKey = unwrapKey
)

// Remembered gives the header segments that r holds.
func (r *Headers) Remembered() []string {
	var list []string
	for i := range r.slots {
		if k := r.slots[i].Load(); k != nil {
			list = append(list, k.segment)
		}
	}
	return list
}

// MaxRemembered is how many headers are held at most.
const MaxRemembered = maxKept
