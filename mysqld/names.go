package mysqld

import "github.com/baton-db/baton/mysqld/gtid"

// Flavor is the family of a server.
type Flavor = gtid.Flavor

// The flavors.
const (
	MySQL   = gtid.MySQL
	MariaDB = gtid.MariaDB
)

// GTIDSet is a set of transactions.
type GTIDSet = gtid.Set

// ParseGTIDSet is gtid.Parse: it reads what a server of that flavor prints, or what GTIDSet.String does.
func ParseGTIDSet(flavor Flavor, text string) (GTIDSet, error) { return gtid.Parse(flavor, text) }
