package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/wafer-auth/wafer/verify"
	"github.com/wafer-auth/wafer/verify/httpauth"
)

// live sends events for as long as the caller's credential is good: it ends when
// they are banned, sign out, or their credential expires.
func live(auth *httpauth.Auth) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, stop := auth.Stream(r)
		defer stop()
		w.Header().Set("Content-Type", "text/event-stream")
		out := http.NewResponseController(w)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for n := 1; ; n++ {
			fmt.Fprintf(w, "data: %d\n\n", n)
			if out.Flush() != nil {
				return // the caller has left
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
					fmt.Fprintf(w, "event: end\ndata: %s\n\n", verify.Reason(cause))
				}
				return
			}
		}
	})
}
