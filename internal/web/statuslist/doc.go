// Package statuslist serves status lists to whoever asks: GET /status-lists/{id},
// and their addresses at GET /status-lists (draft-ietf-oauth-status-list-20
// sections 8 and 9). What a list once said is not kept, so historical resolution
// (section 8.4) is refused.
package statuslist
