package identity

import (
	"fmt"
	"net/url"
	"strings"
)

// Role is what a certificate's owner may do; it is the second part of its name.
type Role string

// The roles there are. A certificate with any other is refused.
const (
	RoleServer   Role = "server"   // a voter
	RoleClient   Role = "client"   // a database or application host
	RoleOperator Role = "operator" // a person or a program
)

const scheme = "baton"

// Name is who a certificate speaks for.
type Name struct {
	Cluster string // the cluster's name, lower case
	Role    Role
	Node    string // the node's name; for an operator the person's
}

// String is the name as it stands in the certificate: baton://cluster/role/node.
func (n Name) String() string {
	return scheme + "://" + n.Cluster + "/" + string(n.Role) + "/" + n.Node
}

// Validate says what is wrong with n, or nothing.
func (n Name) Validate() error {
	if err := validLabel("cluster", n.Cluster); err != nil {
		return err
	}
	switch n.Role {
	case RoleServer, RoleClient, RoleOperator:
	default:
		return fmt.Errorf("role %q is none of server, client, operator", n.Role)
	}
	return validLabel("node", n.Node)
}

// ParseName reads a name as String writes it and accepts nothing else.
func ParseName(s string) (Name, error) {
	rest, ok := strings.CutPrefix(s, scheme+"://")
	if !ok {
		return Name{}, fmt.Errorf("name %.80q does not begin with %s://", s, scheme)
	}
	parts := strings.Split(rest, "/")
	if len(parts) != 3 {
		return Name{}, fmt.Errorf("name %.80q is not %s://<cluster>/<role>/<node>", s, scheme)
	}
	n := Name{Cluster: parts[0], Role: Role(parts[1]), Node: parts[2]}
	if err := n.Validate(); err != nil {
		return Name{}, fmt.Errorf("name %.80q: %w", s, err)
	}
	return n, nil
}

func (n Name) uri() *url.URL {
	return &url.URL{Scheme: scheme, Host: n.Cluster, Path: "/" + string(n.Role) + "/" + n.Node}
}

// validLabel holds names to what is also a DNS label, so that a name is never quoted, escaped or folded anywhere.
func validLabel(what, s string) error {
	ok := len(s) >= 1 && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-'
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-'
	}
	if !ok {
		return fmt.Errorf("%s name %.80q must be 1 to 63 of a-z, 0-9 and inner hyphens", what, s)
	}
	return nil
}
