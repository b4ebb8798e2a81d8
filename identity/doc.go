// Package identity makes and checks the certificates by which nodes know each other.
//
// A cluster has one authority: an ECDSA P-256 key whose certificate lasts ten years and signs nothing but the
// certificates of this cluster. A node's certificate lasts 90 days and carries its name as a URI, never as a host name:
//
//	baton://<cluster>/server/<node>      a voter: may speak Raft and serve the API
//	baton://<cluster>/client/<node>      a database or application host
//	baton://<cluster>/operator/<name>    a person or a program with a certificate of its own
//
// A connection is TLS 1.3, and each side checks the other in one place, [Identity]'s VerifyConnection: signed by this
// cluster's authority, valid on this machine's clock, of this cluster, of the right role, and the node that was meant.
// Host names and addresses play no part, so a node may move. Every refusal wraps one of the Err values and says what
// would have to be different.
//
// Decisions:
//   - The chain is checked here and not by crypto/tls, because crypto/tls stops at the first mistake, and that is "expired"
//     also for a certificate of a foreign authority. Here the signature comes first: nothing in a certificate is believed
//     before its signature.
//   - Session tickets are off. A resumed session saves a millisecond on connections that live for days, and each one would
//     be a second path into the cluster.
//   - A server sends its authority's certificate behind its own, so that a joining node, which knows only the
//     [Fingerprint] in its token, can check the server within the handshake ([JoinTLS]).
//   - A private key is one file with one certificate. Saving writes the key first and the certificate last, so a directory
//     with a certificate in it is complete; renewing signs the same key again and replaces the certificate alone.
//   - A node follows the files of its certificate while it runs ([Current]), so that renewing needs no restart, and no
//     reload that somebody could forget. The node that holds the authority's key renews its own at two thirds of its life.
//   - Raft, HTTP/2 and HTTP/1.1 share one port: [Splitter] completes handshakes and hands each connection to the listener
//     of the protocol that ALPN agreed on.
package identity
