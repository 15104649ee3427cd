package manage

// Row is a route as tests see it.
type Row struct {
	Method, Path string
	Scopes       []string
}

// Routes lists the table.
func Routes() []Row {
	var all []Row
	for _, r := range routes {
		all = append(all, Row{r.method, r.path, r.scopes})
	}
	return all
}

// Bodies is how many rows are described with an answer.
var Bodies = len(bodies)
