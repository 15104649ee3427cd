// Package archtest holds the plan of the house as tests: which package stands on which floor, what may import
// what, which calls and imports are reserved for whom, how long files and functions may be, and what the
// documents promise. A wrong line fails with its file, its line and the reason.
//
// There is no code here outside the tests. The plan itself is data, in plan_test.go: that is the one place to
// edit when a package is added or moved. Every rule is proved on small wrong trees in testdata.
package archtest
