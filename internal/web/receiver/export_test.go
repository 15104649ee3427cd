package receiver

// Public and PublicOrLoopback say which addresses keys are got from.
var (
	Public           = public
	PublicOrLoopback = publicOrLoopback
)
