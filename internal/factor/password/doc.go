// Package password hashes passwords, checks them, and says which ones are too
// weak to be set.
//
// # The gate
//
// One Argon2id hash costs tens of milliseconds and 19 MiB, so whoever may start
// hashes may also take the machine down. All hashing goes through one gate:
//
//	caller -> known lane  -+
//	                       +-> at most Workers hashes at once -> answer
//	caller -> other lane  -+
//	   \-> BusyError, at once, when its lane is full or its wait would be too long
//
// Callers on a known device or network have half of the queue to themselves and
// every second turn, so strangers cannot crowd them out. A stranger is let in
// only while the wait it must expect is at most half of MaxWait: the other half
// belongs to known callers and to estimates that turn out wrong. When they do,
// and the oldest stranger has waited for more than three quarters of MaxWait,
// the newest is served first, because the old ones have mostly gone.
//
// A caller whose context ends leaves the queue. A hash that has begun runs to
// its end: the argon2 package cannot be interrupted.
//
// # Memory
//
// Each hash allocates its block anew and leaves it to the collector, so the peak
// is about (2 x Workers + 1) x Memory above the rest of the process. Set a memory
// limit (GOMEMLIMIT) to about 80 % of what the machine or container allows: the
// collector then runs before the limit is reached. New refuses parameters whose
// Workers x Memory is over a quarter of that limit.
//
// # Time
//
// An unknown user, a malformed stored hash, and a hash whose scheme cannot hold
// the given password (bcrypt and more than 72 bytes) all cost one Argon2id
// computation with the current parameters, the same as a wrong password of a
// known user. An imported hash of another scheme, or with other parameters, costs
// what it costs until its owner's next login replaces it. Until then a wrong
// password takes another time there than elsewhere, and tells that the account
// exists. Config.Floor hides that: no refusal is answered earlier than Floor after
// its computation began. Set it to the time of the slowest imported scheme.
//
// # Text
//
// A password is a string of bytes and is hashed exactly as received: nothing is
// trimmed, cut, changed in case or normalized. The same letters in another Unicode
// form are another password. NUL is a byte like any other. The schemes that do not
// see it that way never match such passwords: bcrypt repeats its key with a NUL
// between, and HMAC (PBKDF2, scrypt) pads its key with NULs.
//
// # Imported hashes
//
//	argon2id, argon2i  $argon2id$v=19$m=..,t=..,p=..$salt$hash (also Django's argon2$argon2id$..)
//	bcrypt             $2a$ $2b$ $2y$ (also Django's bcrypt$$2b$..)
//	PBKDF2             $pbkdf2-sha256$rounds$salt$hash, $pbkdf2-sha512$.. (passlib)
//	                   pbkdf2_sha256$rounds$salt$hash (Django)
//	                   pbkdf2:sha256:rounds$salt$hex (Werkzeug)
//	scrypt             $scrypt$ln=..,r=..,p=..$salt$hash (PHC, passlib)
//	                   scrypt$N$salt$r$p$hash (Django)
//	                   scrypt:N:r:p$salt$hex (Werkzeug)
//
// Keycloak keeps a credential as two JSON texts. For PBKDF2 write its algorithm,
// hashIterations, salt and value in passlib's form: "$pbkdf2-sha256$27500$SALT$VALUE",
// where both base64 texts lose their "=" and have "." in place of "+". For its
// Argon2 write the PHC form, without the "=".
//
// Cost parameters are capped at import, so that a hostile hash can burn neither
// the processor nor the memory.
package password
