package pages

// What outside tests must see of the inside.
var (
	AgentName = agentName
	Routes    = routes
	Catalogue = catalogue
	AgoText   = agoText
	WaitText  = waitText
)
