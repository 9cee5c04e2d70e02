package tablestore

import (
	"maps"
	"slices"
)

// Status tells how much of an operation the emulator has.
type Status string

// The statuses.
const (
	Done    Status = "done"
	Partial Status = "partial"
	Missing Status = "missing" // answers OTSUnsupportOperation
)

// An Operation is one line of the compatibility table.
type Operation struct {
	Name   string
	Status Status
	Note   string // what lacks, if Partial
}

type operation struct {
	handle func(*Server, *request) (*failure, error) // nil if Missing
	status Status
	note   string
}

// operations is every operation the service knows, with its handler.
var operations map[string]*operation

func init() {
	done := func(h func(*Server, *request) (*failure, error)) *operation {
		return &operation{handle: h, status: Done}
	}
	partial := func(h func(*Server, *request) (*failure, error), note string) *operation {
		return &operation{handle: h, status: Partial, note: note}
	}
	operations = map[string]*operation{
		"CreateTable":         partial((*Server).createTable, "no secondary indexes, streams, encryption, local transactions"),
		"ListTable":           done((*Server).listTable),
		"DescribeTable":       done((*Server).describeTable),
		"DeleteTable":         done((*Server).deleteTable),
		"UpdateTable":         partial((*Server).updateTable, "no streams"),
		"AddDefinedColumn":    done((*Server).addDefinedColumn),
		"DeleteDefinedColumn": done((*Server).deleteDefinedColumn),
		"PutRow":              partial((*Server).putRow, "no local transactions"),
		"UpdateRow":           partial((*Server).updateRow, "no local transactions"),
		"DeleteRow":           partial((*Server).deleteRow, "no local transactions"),
		"BatchWriteRow":       partial((*Server).batchWriteRow, "no local transactions"),
		"GetRow":              partial((*Server).getRow, "no local transactions"),
		"BatchGetRow":         done((*Server).batchGetRow),
		"GetRange":            partial((*Server).getRange, "always answers PlainBuffer; no local transactions"),
	}
	for _, name := range []string{
		"ComputeSplitPointsBySize", "CreateIndex", "DropIndex",
		"StartLocalTransaction", "CommitTransaction", "AbortTransaction",
		"ListStream", "DescribeStream", "GetShardIterator", "GetStreamRecord",
		"Search", "CreateSearchIndex", "UpdateSearchIndex", "ListSearchIndex", "DeleteSearchIndex",
		"DescribeSearchIndex", "ComputeSplits", "ParallelScan", "SQLQuery",
		"CreateDeliveryTask", "DeleteDeliveryTask", "UpdateDeliveryTask", "DescribeDeliveryTask", "ListDeliveryTask",
		"CreateTimeseriesTable", "PutTimeseriesData", "GetTimeseriesData", "QueryTimeseriesMeta", "ListTimeseriesTable",
		"DeleteTimeseriesTable", "DescribeTimeseriesTable", "UpdateTimeseriesTable", "UpdateTimeseriesMeta",
		"DeleteTimeseriesMeta", "CreateTimeseriesAnalyticalStore", "DeleteTimeseriesAnalyticalStore",
		"DescribeTimeseriesAnalyticalStore", "UpdateTimeseriesAnalyticalStore",
		"CreateTimeseriesLastpointIndex", "DeleteTimeseriesLastpointIndex",
	} {
		operations[name] = &operation{status: Missing}
	}
}

// Operations is the compatibility table, sorted by name.
func Operations() []Operation {
	var list []Operation
	for _, name := range slices.Sorted(maps.Keys(operations)) {
		o := operations[name]
		list = append(list, Operation{name, o.status, o.note})
	}
	return list
}
