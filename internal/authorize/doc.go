// Package authorize is the rules of the authorization endpoint: which request is
// taken, what stands between it and its answer, and where the answer goes. It knows
// no HTTP.
//
//	parameters -> Read -> Decide -> (sign in | consent -> Allow or Deny) -> Answer
//
// A request that was read travels through the pages sealed, bound to the browser
// that brought it. Nobody is sent to an address that the client did not register:
// until that is known a refusal is a fault for the person in front, afterwards it is
// a Refused that goes back to the client.
package authorize
