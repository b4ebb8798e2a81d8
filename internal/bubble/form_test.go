package bubble_test

import (
	"testing"
	"time"

	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/registry"
)

// flavors runs play for both families.
func flavors(t *testing.T, size int, play func(*world)) {
	for _, flavor := range []mysqld.Flavor{mysqld.MySQL, mysqld.MariaDB} {
		t.Run(string(flavor), func(t *testing.T) {
			inBubble(t, flavor, size, play)
		})
	}
}

// Three nodes that know nothing form a cluster, elect a primary, publish its name and keep it: nothing happens in a minute.
func TestWholeNodesFormAClusterAndRest(t *testing.T) {
	flavors(t, 3, func(w *world) {
		before := w.newest()
		if before.Epoch != 1 {
			w.t.Errorf("the first primary reigns in epoch %d", before.Epoch)
		}
		time.Sleep(time.Minute)
		if d := w.newest(); d.Epoch != before.Epoch || d.Phase != registry.Serving {
			w.t.Errorf("%s in epoch %d after a minute without faults: %v", d.Phase, d.Epoch, d.Cause)
		}
		if wrong := w.disagree(time.Now().Add(-time.Second)); wrong != "" {
			w.t.Error(wrong)
		}
	})
}
