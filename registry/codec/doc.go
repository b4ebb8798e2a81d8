// Package codec is the bytes of a command and of a state, on the wire and on the disk.
//
// A command is one version byte, a two-byte kind and JSON with no unknown fields; a state is a version byte and JSON.
// Unknown versions, kinds and fields are errors, never skipped: a server that cannot read a decision must stop. Numbers of
// kinds are never used again. The golden bytes are in ../testdata and its tests in ../codec_test.go, where the scenes are
// that they are made of. Like the registry itself it is pure.
package codec
