// Package statuslist tells verifiers that are not ours which access tokens were
// taken back: as bits in signed lists that anybody may fetch (Token Status List,
// draft-ietf-oauth-status-list-20). Our own verifiers follow the revocation feed,
// which is faster and says more; they pass the claim over.
//
//	minted --Assign--> number n in the list of the window in which the token ends
//	                   index = permutation of the list(n), in the token's claim
//	log ends it ------> marked, in the log's order, by a cursor that cannot pass it
//	Refresh ----------> bit set, list signed anew
//	window over ------> list and numbers removed
//
// All tokens of one session, grant, client, API and signing key share an index
// while they end in one window; once it was taken back none is given it again. A
// client's own tokens have one each.
package statuslist
