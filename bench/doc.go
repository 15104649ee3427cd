// Command bench measures Wafer and prints each figure as a ratio against a floor
// of the same run: raw cryptography, a bare handler, a peer library. It is never
// part of the tests.
//
//	make bench                 all rows
//	BENCH='sign|verify' make bench
//
// One JSON object a line, then a table.
package main
