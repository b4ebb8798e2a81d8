// Package mutant breaks the source on purpose, one place at a time, and sees whether anybody notices.
//
// A mutant is a few lines of real source and what stands in their place, in mutants.txt. It is compiled with an overlay,
// so that the product carries no switches and the tree is not touched. Most are run in the simulation; what the
// simulation has no part of is run by the test that is named there.
//
// The text of a mutant:
//
//	mutant NAME: what is wrong then
//	by DIRECTORY TEST              (only where a test is to catch it, not the simulation)
//	in FILE
//	-the old lines, each exactly as it stands there; together they must stand there once
//	+the new lines
//
// A mutant may change several places: each begins with a line "in FILE".
package mutant
