package main

import (
	"time"
)

// The API spells times in four ways ("Paging and time formats"). All take Unix milliseconds and give "" for 0.

// utc is the form of members Utc….
func utc(ms int64) string { return format(ms, time.UTC, "2006-01-02T15:04:05.000Z") }

// gmt is the form of GmtCreate and GmtModified in lists of devices.
func gmt(ms int64) string { return format(ms, time.UTC, "Mon, 02-Jan-2006 15:04:05 GMT") }

// cst is UTC+8, the local time of all the vendor's regions that this API is spoken in.
var cst = time.FixedZone("CST", 8*3600)

// local is the form of Gmt… in details of devices, and of LastOnlineTime.
func local(ms int64) string { return format(ms, cst, "2006-01-02 15:04:05") }

func format(ms int64, zone *time.Location, layout string) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).In(zone).Format(layout)
}
