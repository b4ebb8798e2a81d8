package main

import (
	"time"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/health"
)

// returning is orders, with db2 on its way back.
func returning() api.DatabaseView {
	v := ordersView()
	db2 := v.Instances[1].Report
	const dir = "/var/lib/baton/archive/orders-db2/20261118T031209Z-e17-1a2b3c4d"
	db2.Returning = &health.Returning{Doing: "clone", Extra: "3fa8:91", Archive: dir, Why: "copying db3", Progress: "FILE COPY: 512 of 2048 MiB",
		Problem: "from db4: access denied"}
	db2.Archived = []health.Archived{{ID: "20261118T031209Z-e17-1a2b3c4d", Epoch: 17, Primary: "db1", GTIDs: "3fa8:91", Count: 1, Bytes: 2106,
		First: time.UnixMilli(at(6)).UTC(), Last: time.UnixMilli(at(6)).UTC(), At: time.UnixMilli(at(9)).UTC(), File: dir + "/transactions.sql"}}
	return v
}
