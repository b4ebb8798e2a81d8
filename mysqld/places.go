package mysqld

import (
	"context"
	"errors"
	"path/filepath"
)

// Places are where a server keeps what must be looked at beside it, or after its death. It may be kept on a disk.
type Places struct {
	Flavor  Flavor `json:"flavor"`
	Version string `json:"version"`
	// Source is how its own transactions are named in a GTIDSet: the UUID on MySQL, the server id on MariaDB.
	Source string `json:"source"`
	// BaseDir is where it is installed, DataDir where its tables are.
	BaseDir string `json:"base_dir"`
	DataDir string `json:"data_dir"`
	// BinlogIndex and RelayIndex are the files that name its logs; RelayIndex is empty on a server that has none.
	BinlogIndex string `json:"binlog_index"`
	RelayIndex  string `json:"relay_index,omitempty"`
	// ClonePlugin says that the server can be replaced by a copy of another by itself.
	ClonePlugin bool `json:"clone_plugin,omitempty"`
}

const askPlaces = `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('version', 'server_uuid', 'server_id', 'basedir', 'datadir', ` +
	`'log_bin_index', 'relay_log_index')`

// askClone needs no privilege.
const askClone = `SELECT COUNT(*) AS n FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'clone' AND PLUGIN_STATUS = 'ACTIVE'`

// Places asks a server where its files are.
func (s *Server) Places(ctx context.Context) (Places, error) {
	var out Places
	err := s.on(ctx, s.side, "ask where the files are", func(ctx context.Context, c *session) error {
		r, err := c.settings(ctx, askPlaces)
		if err != nil {
			return err
		}
		out = Places{Flavor: c.flavor, Version: r["version"], Source: r["server_uuid"], BaseDir: r["basedir"], DataDir: r["datadir"],
			BinlogIndex: r["log_bin_index"], RelayIndex: r["relay_log_index"]}
		if c.flavor == MariaDB {
			out.Source = r["server_id"]
		}
		if out.BinlogIndex == "" || !filepath.IsAbs(out.DataDir) {
			return errors.New("the server writes no binary log, or does not say where its data is")
		}
		for _, p := range []*string{&out.BinlogIndex, &out.RelayIndex} {
			if *p != "" && !filepath.IsAbs(*p) {
				*p = filepath.Join(out.DataDir, *p)
			}
		}
		if c.flavor == MySQL {
			n, err := c.one(ctx, askClone)
			if err != nil {
				return err
			}
			out.ClonePlugin = n["n"] != "0"
		}
		return nil
	})
	return out, err
}
