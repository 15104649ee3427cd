package password_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/wafer-auth/wafer/internal/factor/password"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vector is a published pair of password and hash.
type vector struct{ name, scheme, password, encoded string }

// b64 and ab64 re-code what a source prints in hexadecimal.
func vectors(t testing.TB) []vector {
	b64 := func(s string) string { return base64.RawStdEncoding.EncodeToString(unhex(t, s)) }
	ab64 := func(s string) string { return strings.ReplaceAll(b64(s), "+", ".") }
	const passwd = "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc" +
		"49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
	const nacl = "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56" +
		"a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d"
	const scrypt1024 = "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162" +
		"2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
	const scrypt16384 = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2" +
		"d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
	const alphabet72 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	return []vector{
		// phc-winner-argon2, src/test.c
		{"argon2 reference, id, 64 MiB", "argon2id", "password", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"},
		{"argon2 reference, id, 256 KiB", "argon2id", "password", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"},
		{"argon2 reference, i", "argon2i", "password", "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$" + b64("c1628832147d9720c5bd1cfd61367078729f6dfb6f8fea9ff98158e0d7816ed0")},
		{"the same as Django writes it", "argon2id", "password", "argon2$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"},
		// crypt_blowfish 1.3, wrapper.c
		{"crypt_blowfish 1", "bcrypt", "U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		{"crypt_blowfish 2", "bcrypt", "U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"},
		{"crypt_blowfish 3", "bcrypt", "U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"},
		{"crypt_blowfish, 72 bytes", "bcrypt", alphabet72, "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui"},
		// jBCrypt, TestBCrypt.java
		{"jBCrypt", "bcrypt", "abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"},
		{"2y", "bcrypt", "U*U", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		{"2b, as Django writes it", "bcrypt", "U*U", "bcrypt$$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		// RFC 7914 section 11
		{"RFC 7914 PBKDF2, 1 round", "pbkdf2-sha256", "passwd", "$pbkdf2-sha256$1$" + ab64("73616c74") + "$" + ab64(passwd)},
		{"RFC 7914 PBKDF2, 80,000 rounds", "pbkdf2-sha256", "Password", "$pbkdf2-sha256$80000$" + ab64("4e61436c") + "$" + ab64(nacl)},
		{"the same as Werkzeug writes it", "pbkdf2-sha256", "Password", "pbkdf2:sha256:80000$NaCl$" + nacl},
		// passlib 1.7, tests/test_handlers_pbkdf2.py
		{"passlib SHA-256", "pbkdf2-sha256", "password", "$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ"},
		{"passlib SHA-512", "pbkdf2-sha512", "password", "$pbkdf2-sha512$1212$RHY0Fr3IDMSVO/RSZyb5ow$eNLfBK.eVozomMr.1gYa17k9B7KIK25NOEshvhrSX.esqY3s.FvWZViXz4KoLlQI.BzY/YTNJOiKc5gBYFYGww"},
		// Django, tests/auth_tests/test_hashers.py
		{"Django 4.1", "pbkdf2-sha256", "l\u00e8tmein", "pbkdf2_sha256$390000$seasalt$8xBlGd3jVgvJ+92hWPxi5ww0uuAuAnKgC45eudxro7c="},
		{"Django scrypt", "scrypt", "l\u00e8tmein", "scrypt$16384$seasalt$8$5$ECMIUp+LMxMSK8xB/IVyba+KYGTI7FTnet025q/1f/vBAVnnP3hdYqJuRi+mJn6ji6ze3Fbb7JEFPKGpuEf5vw=="},
		// RFC 7914 section 12
		{"RFC 7914 scrypt, N=1024", "scrypt", "password", "$scrypt$ln=10,r=8,p=16$" + b64("4e61436c") + "$" + b64(scrypt1024)},
		{"RFC 7914 scrypt, N=16384", "scrypt", "pleaseletmein", "$scrypt$ln=14,r=8,p=1$" + b64("536f6469756d43686c6f72696465") + "$" + b64(scrypt16384)},
		{"the same as Werkzeug writes it", "scrypt", "pleaseletmein", "scrypt:16384:8:1$SodiumChloride$" + scrypt16384},
		// passlib 1.7, tests/test_handlers_scrypt.py
		{"passlib scrypt", "scrypt", "test", "$scrypt$ln=8,r=8,p=1$wlhLyXmP8b53bm1NKYVQqg$mTpvG8lzuuDk+DWz8HZIB6Vum6erDuUm0As5yU+VxWA"},
	}
}

// Every published vector matches, asks for a rehash, and matches nothing else: no
// suffix, no cut, no other case (LOGIN-010).
func TestPublishedVectorsMatchAndNothingElseDoes(t *testing.T) {
	t.Parallel()
	h := newHasher(t, password.Config{Workers: 1})
	for _, v := range vectors(t) {
		t.Run(v.name, func(t *testing.T) {
			stored, err := password.ParseHash(v.encoded)
			if err != nil {
				t.Fatal(err)
			}
			if stored.String() != v.encoded || stored.Scheme() != v.scheme {
				t.Errorf("read as %s %s, want %s %s", stored.Scheme(), stored, v.scheme, v.encoded)
			}
			check := func(p string, want password.Result) {
				t.Helper()
				got, err := h.Verify(t.Context(), password.Attempt{Encoded: v.encoded, Password: p})
				if err != nil || got != want {
					t.Errorf("%q: %+v, %v; want %+v", p, got, err, want)
				}
			}
			check(v.password, password.Result{OK: true, Rehash: true})
			wrong := []string{v.password + "x", v.password + "\x00"}
			if v.scheme == "bcrypt" {
				wrong = append(wrong, v.password+"\x00"+v.password, v.password[:len(v.password)-1], strings.ToLower(v.password)+"y")
			}
			for _, p := range wrong {
				check(p, password.Result{})
			}
			check(v.password, password.Result{OK: true, Rehash: true})
		})
	}
}

func TestUnsupportedHashesAreRefusedAtImportAndMatchNothing(t *testing.T) {
	t.Parallel()
	h := newHasher(t, password.Config{})
	const salt, sum = "c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	argon := func(costs string) string { return "$argon2id$v=19$" + costs + "$" + salt + "$" + sum }
	for _, tt := range []struct{ name, encoded string }{
		{"empty", ""},
		{"plain text", "hunter2"},
		{"dollars only", "$$$$$"},
		{"unknown scheme", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJuesI68OTLiBFdcbYEdFCoEOfaS35inz1"},
		{"argon2d", "$argon2d$v=19$m=256,t=2,p=1$" + salt + "$" + sum},
		{"argon2 version 16", "$argon2id$v=16$m=256,t=2,p=1$" + salt + "$" + sum},
		{"argon2 without version", "$argon2id$m=256,t=2,p=1$" + salt + "$" + sum},
		{"argon2 order of costs", argon("t=2,m=256,p=1")},
		{"argon2 further cost", argon("m=256,t=2,p=1,keyid=AA")},
		{"argon2 leading zero", argon("m=0256,t=2,p=1")},
		{"argon2 plus sign", argon("m=+256,t=2,p=1")},
		{"argon2 no passes", argon("m=256,t=0,p=1")},
		{"argon2 no threads", argon("m=256,t=2,p=0")},
		{"argon2 256 threads", argon("m=65536,t=1,p=256")},
		{"argon2 memory below its threads", argon("m=8,t=2,p=2")},
		{"argon2 hostile memory", argon("m=4194304,t=1,p=1")},
		{"argon2 hostile passes", argon("m=256,t=4294967295,p=1")},
		{"argon2 hostile product", argon("m=131072,t=64,p=1")},
		{"argon2 cost past 32 bits", argon("m=4294967552,t=2,p=1")},
		{"argon2 padding", "$argon2id$v=19$m=256,t=2,p=1$" + salt + "=$" + sum},
		{"argon2 line end in base64", "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + sum[:4] + "\n" + sum[4:]},
		{"argon2 bits base64 drops", "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$" + sum[:len(sum)-1] + "5"},
		{"argon2 short hash", "$argon2id$v=19$m=256,t=2,p=1$" + salt + "$nf65EA"},
		{"argon2 short salt", "$argon2id$v=19$m=256,t=2,p=1$c2FsdA$" + sum},
		{"argon2 field too many", argon("m=256,t=2,p=1") + "$"},
		{"argon2 wrong prefix", "x" + argon("m=256,t=2,p=1")},
		{"argon2 huge", argon("m=256,t=2,p=1") + strings.Repeat("A", 1<<20)},
		{"bcrypt 2x", "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		{"bcrypt 2", "$2$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		{"bcrypt hostile cost", "$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		{"bcrypt cost below four", "$2a$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"},
		{"bcrypt short", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe"},
		{"bcrypt alphabet", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyO+W"},
		{"pbkdf2 sha1", "$pbkdf2$1212$OB.dtnSEXZK8U5cgxU/GYQ$y5LKPOplRmok7CZp/aqVDVg8zGI"},
		{"pbkdf2 no rounds", "$pbkdf2-sha256$0$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ"},
		{"pbkdf2 hostile rounds", "$pbkdf2-sha256$4000000000$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ"},
		{"pbkdf2 hostile blocks", "pbkdf2:sha256:1500000$salt$" + strings.Repeat("00", 64)},
		{"pbkdf2 standard base64", "$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg+fJPeq1h/gXXY7acBp9/6c+tmQ"},
		{"Django without salt", "pbkdf2_sha256$390000$$8xBlGd3jVgvJ+92hWPxi5ww0uuAuAnKgC45eudxro7c="},
		{"Werkzeug upper case", "pbkdf2:sha256:1$salt$" + strings.Repeat("AB", 32)},
		{"Werkzeug default rounds", "pbkdf2:sha256$salt$" + strings.Repeat("ab", 32)},
		{"scrypt hostile N", "$scrypt$ln=30,r=8,p=1$" + salt + "$" + sum},
		{"scrypt ln past 32 bits", "$scrypt$ln=64,r=8,p=1$" + salt + "$" + sum},
		{"scrypt hostile r", "$scrypt$ln=10,r=1073741824,p=1$" + salt + "$" + sum},
		{"scrypt hostile p", "$scrypt$ln=10,r=1,p=1073741823$" + salt + "$" + sum},
		{"scrypt N not a power of two", "scrypt:1000:8:1$salt$" + strings.Repeat("00", 64)},
		{"scrypt N of one", "$scrypt$ln=0,r=8,p=1$" + salt + "$" + sum},
		{"scrypt huge hash", "scrypt:1024:8:1$salt$" + strings.Repeat("00", 65)},
	} {
		err := password.Supported(tt.encoded)
		if !errors.Is(err, password.ErrUnsupported) {
			t.Errorf("%s: import: %v, want ErrUnsupported", tt.name, err)
			continue
		}
		if tt.encoded != "" && strings.Contains(err.Error(), tt.encoded) {
			t.Errorf("%s: the error repeats the hash", tt.name)
		}
		res, err := h.Verify(t.Context(), password.Attempt{Encoded: tt.encoded, Password: "password"})
		if err != nil || res.OK {
			t.Errorf("%s: verify: %+v, %v; want no match", tt.name, res, err)
		}
	}
	if err := password.Supported(argon("m=256,t=2,p=1")); err != nil {
		t.Errorf("the hash all the argon2 cases are made of: %v", err)
	}
	// The dearest that the caps allow are the settings that are in use.
	for _, encoded := range []string{
		argon("m=65536,t=3,p=4"),                              // RFC 9106 section 4, second choice
		argon("m=7168,t=5,p=1"),                               // Keycloak 25
		fmt.Sprintf("$scrypt$ln=17,r=8,p=1$%s$%s", salt, sum), // OWASP
		"pbkdf2_sha256$1200000$seasalt$8xBlGd3jVgvJ+92hWPxi5ww0uuAuAnKgC45eudxro7c=",
		"$2b$14$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
	} {
		if err := password.Supported(encoded); err != nil {
			t.Errorf("%s: %v", encoded, err)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.encoded)
	}
	f.Add("$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4")
	f.Add("scrypt:4294967295:256:256$salt$00")
	f.Fuzz(func(t *testing.T, encoded string) {
		stored, err := password.ParseHash(encoded)
		if err != nil {
			if !errors.Is(err, password.ErrUnsupported) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if stored.String() != encoded {
			t.Fatalf("%q is written back as %q", encoded, stored)
		}
		if n := password.MemoryOf(stored); n <= 0 || n > 129<<20 {
			t.Fatalf("%q needs %d bytes", encoded, n)
		}
	})
}
