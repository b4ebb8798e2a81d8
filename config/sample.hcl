# A node file with every setting. Those that begin with "# " have the value they have when they are not given.
# docs/config.md explains each one. Check a file without touching anything: baton config validate /etc/baton

# --- who this node is -----------------------------------------------------------------------------------------------

cluster = "prod" # the same on every node, and the one in the certificates: nodes of another cluster are refused
node    = "db1"  # never changes and is not an address: 1 to 63 of a-z, 0-9 and inner hyphens
zone    = "a"    # where it stands; shown beside the node and its database server

# role   = "server"          # "server" votes, and is in the list below; "client" follows the state and does not vote
# bootstrap = false          # true on one server: it makes the authority of the cluster and the gossip key, once. May stay true
# data_dir = "/var/lib/baton" # Raft store, promises, journals, and certificates in tls/; belongs to this node for ever

# --- the others -----------------------------------------------------------------------------------------------------

# The voters with which the cluster first started: three or five, the same on every node. Each address is its listen.api.
servers = {
  db1 = "10.0.0.11:7450"
  db2 = "10.0.0.12:7450"
  db3 = "10.0.0.13:7450"
}

join            = ["10.0.0.12:7451", "10.0.0.13:7451"] # gossip addresses of some others, host:port
gossip_key_file = "/etc/baton/gossip.key"              # the same on every node, mode 0600; the server with bootstrap = true makes it

listen {
  advertise = "10.0.0.11" # the IP address that others use for this node
  # api     = "10.0.0.11:7450" # TCP: API and Raft. By default advertise with port 7450
  # gossip  = "10.0.0.11:7451" # TCP and UDP: membership. By default advertise with port 7451
}

log {
  # level = "info" # "info" or "debug"
}

# --- what applications see ------------------------------------------------------------------------------------------

dns {
  listen      = ["127.0.0.1:7453", "10.0.0.11:7453"] # UDP and TCP; without it this node answers no names
  # domain    = "baton.internal"
  # hold      = "2s"  # how long a question for a primary that is being replaced waits for the answer
  # max_stale = "10s" # older than this, answers say so (EDE 3)
}

hosts "system" {
  path    = "/etc/hosts" # only the block between baton's two markers is touched
  aliases = { "orders-db" = "primary.orders.db" }
}

# --- the database server beside this node; leave it out on other machines -------------------------------------------

mysql {
  database = "orders"
  # instance = "db1"         # the name of this server in the database. By default the node's
  address  = "10.0.0.11:3306" # where applications and replicas reach it
  socket   = "/run/mysqld/mysqld.sock"

  user                      = "baton" # docs/database-accounts.md has what it may do
  password_file             = "/etc/baton/mysql.pw" # leave it out for an account that needs none
  replication_user          = "repl"
  replication_password_file = "/etc/baton/repl.pw"

  # preference = "normal" # as the next primary: "prefer", "normal", "last-resort" or "never"

  # on_divergence = "rewind" # a server that returns with what the primary lacks, once that is archived: "rewind", "clone" or "wait"
  # start = [] # how baton starts a former primary that has crashed: ["/usr/bin/systemctl", "start", "mariadb"]
  # stop  = [] # and keeps it stopped: ["/usr/bin/systemctl", "stop", "mariadb"]. Nobody else may start it by himself then

  # What follows belongs to the database. The node that is first to name it decides.
  # expect             = 3     # servers that must be there before the first primary is chosen
  # k                  = 1     # acknowledgements that each commit waits for; on MariaDB always 1
  # max_lag            = "30s" # a replica that is further behind leaves replicas.orders.db
  # switchover_timeout = "3s"  # a hand-over that takes longer is undone
  # durability         = "lossless" # or "async": acknowledged writes can be lost
  # when_alone         = "block"    # or "degrade": go on without ackers, and what is acknowledged then can be lost
}
