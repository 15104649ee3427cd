package oauth

// metadataOfLogout is the part of the metadata about the end of sessions (OpenID
// Connect RP-Initiated, Front-Channel and Back-Channel Logout 1.0, each section 2 or
// 3), about devices (RFC 8628 section 4), and about the languages of the pages.
type metadataOfLogout struct {
	DeviceEndpoint      string   `json:"device_authorization_endpoint"`
	EndSessionEndpoint  string   `json:"end_session_endpoint"`
	FrontchannelLogout  bool     `json:"frontchannel_logout_supported"`
	FrontchannelSession bool     `json:"frontchannel_logout_session_supported"`
	BackchannelLogout   bool     `json:"backchannel_logout_supported"`
	BackchannelSession  bool     `json:"backchannel_logout_session_supported"`
	Locales             []string `json:"ui_locales_supported,omitempty"`
}

func logoutMetadata(issuer string, locales []string) metadataOfLogout {
	return metadataOfLogout{
		DeviceEndpoint: issuer + devicePath, EndSessionEndpoint: issuer + "/oauth/logout",
		FrontchannelLogout: true, FrontchannelSession: true, BackchannelLogout: true, BackchannelSession: true, Locales: locales,
	}
}
