// Package client describes the applications that ask for credentials (OAuth
// clients): what they may ask for, where they live, how they prove who they are.
package client
