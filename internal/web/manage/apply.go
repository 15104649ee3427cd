package manage

import (
	"net/http"

	"github.com/wafer-auth/wafer/internal/admin"
	"github.com/wafer-auth/wafer/internal/fault"
	"github.com/wafer-auth/wafer/internal/web/middleware"
	"github.com/wafer-auth/wafer/internal/web/respond"
)

// apply makes a declared set-up true. Files are read for the local command line
// alone, which could read them itself: anybody else could have the server read
// what is not theirs.
func (s *Surface) apply(w http.ResponseWriter, r *http.Request, c caller) error {
	var in NewApply
	if err := middleware.JSON(r, &in); err != nil {
		return err
	}
	if in.Dir != "" && !c.local {
		return fault.New(fault.Invalid, "dir is for the local command line. Put the contents of files into the set-up.")
	}
	declared, warnings, err := admin.ParseDeclared([]byte(in.YAML), in.Dir)
	if err != nil {
		return err
	}
	report, err := s.Setup.Apply(r.Context(), c.by(), declared)
	if err != nil {
		return err
	}
	respond.JSON(w, http.StatusOK, Applied{Changes: filled(report.Changes), Warnings: filled(warnings)})
	return nil
}
