package rejoin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/baton-db/baton/internal/durable"
	"github.com/baton-db/baton/mysqld"
	"github.com/baton-db/baton/mysqld/offline"
)

// formatVersion is that of both files.
const formatVersion = 1

// Facts is what must be known of a server that is dead.
type Facts struct {
	Version int             `json:"version"`
	Places  mysqld.Places   `json:"places"`
	Program offline.Program `json:"program"`
}

// parseJournal reads a Journal. One of an unknown version is an error: what was begun must be finished by who knows it.
func parseJournal(text []byte) (Journal, error) {
	var j Journal
	err := decode(text, &j)
	if err == nil && j.Version != formatVersion {
		err = fmt.Errorf("version %d, want %d", j.Version, formatVersion)
	}
	return j, err
}

func parseFacts(text []byte) (Facts, error) {
	var f Facts
	err := decode(text, &f)
	if err == nil && (f.Version != formatVersion || len(f.Program.Argv) == 0) {
		err = fmt.Errorf("version %d, want %d, with a program", f.Version, formatVersion)
	}
	return f, err
}

func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// load reads a file that store wrote; a missing one is nil.
func load(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// store replaces a file as a whole and durably.
func store(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(path, append(text, '\n'))
}
