// Command wafer signs people in and gives each application the credential it
// asked for. One file for each command; the list is in commands.go.
package main
