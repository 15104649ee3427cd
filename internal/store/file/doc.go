// Package file keeps sessions as files in a folder, one for each: a home that
// survives a restart and needs no database. One process uses it.
//
//	DIR/lock                     held while a process uses the folder
//	DIR/a/abcd...                a session; its name is the SHA-256 of its sid
//	DIR/a/abcd....tmp            a session being written
//
// Every record is in memory too, and read from there alone. A change is written
// to a file of its own, flushed, given its name and the folder flushed; then it
// becomes visible, and then it is acknowledged. Changes to one session wait for
// each other, changes to different ones do not.
//
// A use of a session (Touch) is written into the two lines at the top of its
// file, in turn, and not flushed: what is lost with the power ends a session a
// little early, never late. A new file without a flush, in the place of the old
// one, could lose the session with it.
//
// A file that is damaged counts as none: its checksum says so, and Risks.
package file
