package codec

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/baton-db/baton/registry"
)

// stateVersion is the first byte of an encoded state. Version 1, which is still read, had no Armed.
const stateVersion = 2

// EncodeState returns the bytes of s: equal states have equal bytes.
func EncodeState(s *registry.State) ([]byte, error) {
	body, err := json.Marshal(s.Contents())
	if err != nil {
		return nil, fmt.Errorf("encode state at index %d: %w", s.Index(), err)
	}
	return append([]byte{stateVersion}, body...), nil
}

// DecodeState reads what EncodeState wrote. Unknown versions and fields are errors.
func DecodeState(b []byte) (*registry.State, error) {
	if len(b) == 0 || b[0] == 0 || b[0] > stateVersion {
		return nil, fmt.Errorf("decode state: %w", versionError(b, stateVersion))
	}
	var form registry.Contents
	if err := strictJSON(b[1:], &form); err != nil {
		return nil, fmt.Errorf("decode state: %w", err)
	}
	if slices.Contains(form.Databases, nil) {
		return nil, fmt.Errorf("decode state: a database is null")
	}
	if b[0] == 1 {
		for _, d := range form.Databases {
			arm(d)
		}
	}
	return registry.Restore(form), nil
}

// arm fills in what version 1 did not say: the ackers of a reign acknowledge for whoever reigns, those of a winner for it.
func arm(d *registry.Database) {
	source := d.Former
	if d.Phase == registry.Serving {
		source = d.Primary
	}
	for _, a := range d.Ackers {
		d.Armed = append(d.Armed, registry.Armed{Instance: a, Source: source})
	}
	for _, a := range d.NextAckers {
		d.Armed = append(d.Armed, registry.Armed{Instance: a, Source: d.Primary})
	}
	slices.SortFunc(d.Armed, func(a, b registry.Armed) int {
		return cmp.Or(cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Source, b.Source))
	})
	d.Armed = slices.Compact(d.Armed)
}

// strictJSON reads exactly one JSON object and nothing behind it.
func strictJSON(b []byte, into any) error {
	if !bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) {
		return fmt.Errorf("not a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("trailing bytes after offset %d", d.InputOffset())
	}
	return nil
}

func versionError(b []byte, want byte) error {
	if len(b) == 0 {
		return fmt.Errorf("no bytes: %w", registry.ErrUnknown)
	}
	return fmt.Errorf("version %d, this baton reads %d: %w", b[0], want, registry.ErrUnknown)
}
