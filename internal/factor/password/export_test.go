package password

// Observe sets what sees the beginning of each computation, in its slot. Call it
// before the Hasher is shared.
func Observe(h *Hasher, f func()) { h.observe = f }

// Listed reports whether an entry is on the refusal list.
func Listed(entry string) bool { return inList(commonList, entry) }

// CommonList is the refusal list with its comments.
func CommonList() (common, top string) { return commonList, topList }

// MemoryOf is what a stored hash needs to be computed, in bytes.
func MemoryOf(s Stored) int64 { return s.method.memory() }
