// Package raftlog keeps one server's log, term and vote on its disk, and never starts from less than it has promised.
package raftlog
