package jose_test

import (
	"encoding/json"
	"fmt"

	"github.com/wafer-auth/wafer/verify/jose"
)

func Example() {
	// The issuer: one key, one algorithm.
	key, err := jose.Generate(jose.EdDSA, "2026-11")
	if err != nil {
		panic(err)
	}
	token, err := jose.Sign(key, jose.Header{Type: "at+jwt"}, []byte(`{"sub":"u1","aud":"orders"}`))
	if err != nil {
		panic(err)
	}
	published, err := json.Marshal(jose.KeySet{key})
	if err != nil {
		panic(err)
	}

	// The verifier: it knows the published set and which algorithm it wants.
	set, err := jose.ParseKeySet(published)
	if err != nil {
		panic(err)
	}
	message, err := jose.Parse(token, jose.Limits{})
	if err != nil {
		panic(err)
	}
	public, found := set.Find(message.Header.KeyID, jose.EdDSA)
	if !found {
		panic("no such key")
	}
	payload, err := message.Verify(public)
	fmt.Println(message.Header.Type, string(payload), err)
	// Output: at+jwt {"sub":"u1","aud":"orders"} <nil>
}

func ExampleEncrypt() {
	signer, err := jose.Generate(jose.ES256, "s1")
	if err != nil {
		panic(err)
	}
	recipient, err := jose.GenerateDecryptionKey(jose.ECDHES, "orders")
	if err != nil {
		panic(err)
	}
	signed, err := jose.Sign(signer, jose.Header{Type: "at+jwt"}, []byte(`{"sub":"u1"}`))
	if err != nil {
		panic(err)
	}
	token, err := jose.Encrypt(recipient.Recipient(), jose.Header{}, signed)
	if err != nil {
		panic(err)
	}

	// Decrypting proves nothing about the sender; the signature does.
	inner, _, err := jose.Decrypt(token, recipient)
	if err != nil {
		panic(err)
	}
	_, payload, err := jose.Verify(inner, signer.Public())
	fmt.Println(jose.IsEncrypted(token), string(payload), err)
	// Output: true {"sub":"u1"} <nil>
}

func ExampleMembers() {
	members, err := jose.Members([]byte(`{"sub":"u1","SUB":"root","exp":1900000000.5}`))
	if err != nil {
		panic(err)
	}
	for _, m := range members {
		fmt.Println(m.Name, string(m.Value))
	}
	_, err = jose.Members([]byte(`{"sub":"u1","s\u0075b":"root"}`))
	fmt.Println(err)
	// Output:
	// sub "u1"
	// SUB "root"
	// exp 1900000000.5
	// malformed: duplicate JSON member
}

func ExampleHeaders() {
	key, err := jose.NewKey(jose.HS256, "k1", []byte("a secret of 32 bytes, or of more"))
	if err != nil {
		panic(err)
	}
	var headers jose.Headers // one for each verifier
	for _, user := range []string{"ada", "bob"} {
		token, err := jose.Sign(key, jose.Header{Type: "at+jwt"}, []byte(`{"sub":"`+user+`"}`))
		if err != nil {
			panic(err)
		}
		m, err := headers.Parse(token, jose.Limits{}) // bob's header is ada's
		if err != nil {
			panic(err)
		}
		payload, err := m.Verify(key)
		fmt.Println(m.Header.KeyID, string(payload), err)
	}
	// Output:
	// k1 {"sub":"ada"} <nil>
	// k1 {"sub":"bob"} <nil>
}
