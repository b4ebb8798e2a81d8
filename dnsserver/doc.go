// Package dnsserver answers DNS questions from the records last published.
//
// It is authoritative for one zone, the cluster's domain, and for the reverse names of its addresses; it never recurses.
//
//	Publish(records, index) -> build -> *zone (immutable) -> atomic pointer
//	packet -> parse -> screen -> answer(zone, question) -> message -> packet
//
// A question reads one atomic pointer and takes no lock. answer is pure, so what a name answers is a table in the tests.
//
// # What is promised
//
//   - G6: a zone is replaced only by one of a higher index in which no name has a lower epoch; a primary's name has one
//     address or none. Its TTL is 0.
//   - G7: a node that hears nobody goes on answering; Stale makes its answers say so (EDE 3).
//   - A name that exists is never NXDOMAIN, also when nothing healthy is behind it and when only names below it exist:
//     resolvers remember NXDOMAIN for the name and for everything under it.
//
// # Holding a question
//
// While a new primary is being chosen its name is withdrawn. A question for its address is then held for Config.Hold and
// answered with the new address as soon as that is published, so a client that asks in the middle of a failover waits for
// the new primary instead of failing. Past the bound the answer is NODATA that nobody may cache, with an EDE that says why.
// A held question costs one goroutine and blocks nobody: on UDP the socket goes on reading, on TCP the other questions of
// the same connection are answered in the meantime, out of order as RFC 7766 allows. Questions beyond Config.MaxHeld are
// answered at once.
//
// # Choices
//
//   - The sockets are served here and not by miekg/dns, which answers the questions of a TCP connection one after the
//     other, so one held question would hold all that follow it. miekg/dns packs messages and nothing else.
//   - Packets are parsed here (query.go) because the rules for hostile ones are strict: a pointer in a question is an
//     error wherever it points, and an option that makes no sense is ignored instead of failing the question.
//   - An answer that does not fit is sent empty with TC: a set of records is whole or absent (RFC 2181 section 9).
//     Addresses in ADDITIONAL are left out first and without TC. Over TCP, where nothing bigger can be asked for, a set
//     beyond 64 KiB is cut.
//   - A TCP connection has no limit of questions in total, which would cut a busy resolver off in mid-stream; what is
//     limited is how many of them wait (maxWaiting), and beyond that they are answered at once.
//   - The reverse zones of private addresses are answered here, empty or not, as RFC 6303 asks; any other address is
//     answered only when it belongs to the cluster and is REFUSED otherwise.
package dnsserver
