package config

import "slices"

// AllSettings lists every setting of a node file by its path, such as "listen.api".
func AllSettings() []string {
	var all []string
	for _, name := range settings("") {
		if !slices.Contains(blocks(), name) {
			all = append(all, name)
		}
	}
	for _, b := range blocks() {
		for _, name := range settings(b) {
			all = append(all, b+"."+name)
		}
	}
	return all
}
