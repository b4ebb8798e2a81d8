// Package raft keeps the same registry on every server and says who leads.
package raft
