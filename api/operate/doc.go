// Package operate judges what an operator asks for: whether it can be done now, what stands in the way and how to get it
// out of the way (G10). It is pure: it looks at the state and the newest reports, and the door commits.
package operate
