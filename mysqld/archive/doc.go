// Package archive keeps transactions of a database server as readable SQL, before anything takes them away.
//
// A server that returns with transactions that the present primary lacks is brought back by losing them. Nobody was told
// that they are safe, and still somebody may want them. So they are saved first, always:
//
//	DATA_DIR/archive/DATABASE-SERVER/ID/transactions.sql   what the server's own tool prints of them, rows decoded in comments
//	DATA_DIR/archive/DATABASE-SERVER/ID/manifest.json      which, of whom, when, how many; see Manifest
//
// The SQL is made by mysqlbinlog or mariadb-binlog of the server's own installation, from the byte ranges in which package
// binlog finds the transactions: they are printed whole, with their GTIDs, and nothing else is. The rows stand in comments
// for a person and in BINLOG statements for a server. What is missing in the print is an error.
//
// An archive is there when its directory has its final name. That happens last, by a rename, after both files and the
// directory that holds them were synced: what Save returns, and what List lists, survives a power cut. Save of
// transactions that are archived already returns what is there; so a caller that was interrupted asks again. Nothing here
// ever removes an archive.
package archive
