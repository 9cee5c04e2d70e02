package tablestore

// Limits of the service ("Tablestore, General limits").
const (
	maxTables          = 64      // tables of an instance
	maxNameLength      = 255     // table and column names
	maxPKColumns       = 4       //
	maxPKValue         = 1 << 10 // bytes of a string or binary primary key value
	maxAttributeValue  = 2 << 20 // bytes of an attribute value
	maxColumnsPerWrite = 1024    // cells in one PutRow or UpdateRow
	maxColumnsToGet    = 128
	maxBatchWriteRows  = 200
	maxBatchGetRows    = 100
	maxBatchWriteBytes = 4 << 20
	maxBody            = 5 << 20
	maxDefinedColumns  = 32
	maxFilters         = 10 // leaves of a filter or column condition
	maxScanRows        = 5000
	maxScanBytes       = 4 << 20

	minTTL           = 86400 // seconds
	defaultDeviation = 86400 // seconds
	capacityUnit     = 4 << 10
)

// validName tells whether a table or column name matches [A-Za-z_][A-Za-z0-9_]* within the length limit.
func validName(name []byte) bool {
	if len(name) == 0 || len(name) > maxNameLength {
		return false
	}
	for i, c := range name {
		if nameByte[c] == 0 || (i == 0 && nameByte[c] == 2) {
			return false
		}
	}
	return true
}

// nameByte is 1 for bytes allowed anywhere in a name, 2 for those not allowed at its start.
var nameByte = func() (t [256]byte) {
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = 1, 1
	}
	t['_'] = 1
	for c := '0'; c <= '9'; c++ {
		t[c] = 2
	}
	return t
}()

// units is the number of capacity units that size bytes cost, at least one.
func units(size int) int {
	if size <= capacityUnit {
		return 1
	}
	return (size + capacityUnit - 1) / capacityUnit
}
