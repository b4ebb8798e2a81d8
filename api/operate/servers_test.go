package operate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/baton-db/baton/api"
	"github.com/baton-db/baton/api/operate"
)

func TestAChangeOfTheServersIsJudgedWithAWayOut(t *testing.T) {
	const gone = 60_000
	for _, c := range []struct {
		name string
		gone bool // n3
		req  api.ServersRequest
		code api.Code
		hint string
	}{
		{"a lost one goes", true, api.ServersRequest{Remove: "n3"}, "", ""},
		{"a running one does not go", false, api.ServersRequest{Remove: "n3"}, api.CodeServers, "stop baton"},
		{"the leader does not go", false, api.ServersRequest{Remove: "n1"}, api.CodeServers, "stop baton"},
		{"a stranger cannot go", false, api.ServersRequest{Remove: "n9"}, api.CodeNoServer, "baton status"},
		{"a new one comes", false, api.ServersRequest{Add: "n4", Address: "10.0.0.4:7450"}, "", ""},
		{"one that has not caught up is tried again", false, api.ServersRequest{Add: "n5", Address: "10.0.0.5:7450"}, "", ""},
		{"nobody comes while one is missing", true, api.ServersRequest{Add: "n4", Address: "10.0.0.4:7450"}, api.CodeServers, "baton server remove n3"},
		{"one that votes", false, api.ServersRequest{Add: "n2", Address: "10.0.0.2:7450"}, api.CodeServers, "nothing"},
		{"a name that is taken", false, api.ServersRequest{Add: "n2", Address: "10.0.0.4:7450"}, api.CodeServers, "baton server remove n2"},
		{"a lost one does not come back before it is removed", true, api.ServersRequest{Add: "n3", Address: "10.0.0.4:7450"}, api.CodeServers, "baton server remove n3"},
		{"an address that is taken", false, api.ServersRequest{Add: "n4", Address: "10.0.0.2:7450"}, api.CodeServers, "baton server remove n2"},
		{"no address", false, api.ServersRequest{Add: "n4"}, api.CodeMalformed, ""},
		{"no name", false, api.ServersRequest{Add: "N 4", Address: "10.0.0.4:7450"}, api.CodeMalformed, ""},
		{"both", false, api.ServersRequest{Add: "n4", Address: "10.0.0.4:7450", Remove: "n3"}, api.CodeMalformed, ""},
		{"nothing", false, api.ServersRequest{}, api.CodeMalformed, ""},
		{"an address alone", false, api.ServersRequest{Remove: "n3", Address: "10.0.0.3:7450"}, api.CodeMalformed, ""},
	} {
		raft := api.RaftStatus{Leader: "n1", Peers: []api.RaftPeer{{Node: "n1", Address: "10.0.0.1:7450", Voter: true},
			{Node: "n2", Address: "10.0.0.2:7450", Voter: true, ContactMillis: 20}, {Node: "n3", Address: "10.0.0.3:7450", Voter: true, ContactMillis: 40},
			{Node: "n5", Address: "10.0.0.5:7450", ContactMillis: 30}}}
		if c.gone {
			raft.Peers[2].ContactMillis = gone
		}
		err := operate.Servers(raft, c.req)
		p, refused := errors.AsType[*api.Problem](err)
		if refused != (c.code != "") || err != nil && (p.Code != c.code || !strings.Contains(p.Hint, c.hint)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
