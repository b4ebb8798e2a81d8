//go:build !linux

package raftlog

import "os"

// preallocate gives f its full size.
func preallocate(f *os.File, size int64) error { return f.Truncate(size) }

// syncFile makes f durable.
func syncFile(f *os.File) error { return f.Sync() }
