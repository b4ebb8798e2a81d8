package process

import "strings"

// Boot is the part of an Incarnation that is the same for all runs in one boot of the machine.
func Boot(incarnation string) string { return incarnation[strings.LastIndexByte(incarnation, '-')+1:] }
