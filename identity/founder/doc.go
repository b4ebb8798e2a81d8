// Package founder makes what the first server of a cluster begins with: the gossip key, the authority and its own
// certificate.
//
// A second authority for one cluster would be a second cluster of the same name, so founding refuses whenever something
// says that there is a cluster already: state in the data directory, another server that answers, a gossip address
// that accepts connections. It cannot see a server that is cut off or down; what a mistake costs then is bounded, because
// nobody who has a certificate believes the new authority.
//
// The order is gossip key, authority, certificate, each of them there whole or not at all, and nothing is made that is
// there already. So a start that was interrupted is finished by the next one. A gossip key is only made before there is
// an authority: afterwards others have the one that is missing here.
package founder
