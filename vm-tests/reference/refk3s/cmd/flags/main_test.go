package main

import "testing"

func TestTheTableIsThatOfTheComponents(t *testing.T) {
	if err := run("../../"+table, true); err != nil {
		t.Fatal(err)
	}
}
