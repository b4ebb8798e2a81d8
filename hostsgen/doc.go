// Package hostsgen keeps a marked block of a hosts file equal to the records.
//
//	127.0.0.1 localhost                             <- the file's owner's: never changed (G8)
//	# BEGIN baton prod v=1 epoch=8 gen=48211 sha256=...
//	# Kept by baton: once edited it is left alone. Delete it and it is written anew.
//	10.0.0.12               db2.orders.db.baton.internal
//	10.0.0.12               primary.orders.db.baton.internal orders-db
//	# END baton prod
//
// Render and Merge are pure. File.Update reads, merges and writes on change; File.Keep follows a feed of states.
//
// # What is promised
//
//   - G8: the file is never seen empty or torn; bytes outside the block never change, not even their line ends. The file
//     is replaced by rename and keeps its owner, mode and extended attributes.
//   - G6: a block is never replaced by one of a lower index (gen) or epoch. The line of a revoked primary becomes a
//     comment at once: "# withdrawn, epoch 8" where the address was.
//   - G7: a block with lines is never replaced by one without.
//   - When the block is not as baton left it, or the markers do not pair, nothing is written and the error names the lines.
//
// # Why the columns are wide
//
// On a bind mount (/etc/hosts in a container) rename fails and the same inode must be written while others read it. The
// address has a column of fixed width, in which "withdrawn" fits too, so a failover changes a few bytes of one line and
// no line moves. Measured on ext4: rewriting 20 KB in place was read torn 284 times in 219,000 reads, one field of 15
// bytes never in 631,000. A journal in Options.Journal holds the old and the new content until the write is whole; the
// next Update finishes what a kill interrupted. After kill -9 in the middle of an in-place write a file may so hold, for
// the time until baton runs again, the new line under the old header; a renamed file is old or new at every instant.
//
// # Choices
//
//   - Only primaries, instances and nodes are written. A hosts file cannot say which of several addresses is healthy,
//     and resolvers disagree about names with several lines, so replicas and services are left to DNS.
//   - Names are lower case (musl compares case), addresses canonical (musl reads 010.0.0.8 as octal), lines shorter than
//     500 bytes (musl cuts at 511) and always ended (musl ignores an open last line).
//   - The modification time always grows: Go's resolver and CoreDNS keep the old content for ever when size and time are
//     the same, and two writes in a row get the same time on ext4.
//   - Writers of different clusters exclude each other with flock on the directory, which needs no lock file in /etc.
package hostsgen
