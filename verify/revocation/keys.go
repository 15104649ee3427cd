package revocation

// Subject is what one credential hangs from. What is empty is left out.
type Subject struct {
	TokenID   string // jti
	SessionID string // sid
	GrantID   string // grant_id
	Subject   string // sub: stands for what is said of the user and of their roles
	ClientID  string // client_id
	API       string // the audience that was asked for
	KeyID     string // kid
}

// keysMost is how many hashes one credential has at most.
const keysMost = 8

// Keys are the hashes of what one credential hangs from, ready to be looked up.
// They hold no names.
type Keys struct {
	key        [keysMost]uint64
	n          uint32
	generation uint32 // of the Feed that made them; 0 when a Secret did
}

// Keys hashes what a credential hangs from.
func (s Secret) Keys(of Subject) Keys {
	var k Keys
	k.add(s, Token, of.TokenID)
	k.add(s, Session, of.SessionID)
	k.add(s, Grant, of.GrantID)
	k.add(s, User, of.Subject)
	k.add(s, Claims, of.Subject)
	k.add(s, Client, of.ClientID)
	k.add(s, API, of.API)
	k.add(s, SignKey, of.KeyID)
	return k
}

func (k *Keys) add(s Secret, kind Kind, id string) {
	if id == "" {
		return
	}
	k.key[k.n] = s.Key(kind, id)
	k.n++
}
