package refusal

// Causes of refusals around files, configurations and jobs ("File upload over MQTT", "Remote configuration", "Device jobs", "Download
// URL and server").
const (
	DownloadRefused    Cause = "download_refused"
	DownloadExpired    Cause = "download_expired"
	DownloadMissing    Cause = "download_missing"
	ConfigMissing      Cause = "config_missing"
	ConfigOff          Cause = "config_off"
	FileNameInvalid    Cause = "file_name_invalid"
	FileTooLarge       Cause = "file_too_large"
	FileBlockSize      Cause = "file_block_size"
	FileOffset         Cause = "file_offset"
	FileBlockDamaged   Cause = "file_block_damaged"
	FileUploadUnknown  Cause = "file_upload_unknown"
	FileExists         Cause = "file_exists"
	FileUploadFinished Cause = "file_upload_finished"
	FileDamaged        Cause = "file_damaged"
	FileStorageFull    Cause = "file_storage_full"
	FileStreamUnknown  Cause = "file_stream_unknown"
	JobTaskUnknown     Cause = "job_task_unknown"
	JobTaskFinished    Cause = "job_task_finished"
	JobStatusInvalid   Cause = "job_status_invalid"
)

var files = []Explanation{
	{DownloadRefused, "The URL of a download is not one that this installation has made, or it was changed or cut on its way (status 403).",
		"Compare the URL in the device's log with the one that was sent: firmware with buffers of 255 bytes and less cuts it."},
	{DownloadExpired, "The URL of a download was used after its time (status 403).",
		"Have the device ask again for the configuration, the job or the firmware, which gives it a fresh URL, and set its clock if it keeps URLs by time."},
	{DownloadMissing, "The file of a download is not there any more (status 404).",
		"Publish the configuration again, or make a new job: the file was deleted since the URL was made."},
	{ConfigMissing, "The device asked for a remote configuration, and none is published for its product (code 6710).",
		"Publish one with relink config publish, or leave it: devices carry on without."},
	{ConfigOff, "The device asked for a remote configuration, and the product's is switched off (code 6713).",
		"Switch it on with relink config switch PRODUCT_KEY on."},
	{FileNameInvalid, "The name of an uploaded file is not 1 to 100 of letters, digits, underscore and dot, beginning with a letter or a digit (code 460).",
		"Rename the file in the device's upload call; folders are not part of the name."},
	{FileTooLarge, "An uploaded file is larger than 16 MB, announced or sent (code 78117).",
		"Split or compress it."},
	{FileBlockSize, "A block of an upload is larger than 128 KB or, not being the last one, smaller than 256 bytes (codes 78118, 78120).",
		"Set the block size of the device's upload to something between, such as 2 KB."},
	{FileOffset, "A block of an upload does not continue where the file ends, and is not one that is there already (code 78119).",
		"Begin the upload again with an initUid, whose reply says where to go on; send one block after the other, each after its reply."},
	{FileBlockDamaged, "The checksum of a block of an upload is wrong (code 78121). The device sends it again.",
		"If it repeats, look at the device's CRC-16/ARC and at the byte order: the low byte comes first."},
	{FileUploadUnknown, "There is no such upload of this device, or it was cancelled, expired after 24 hours, or made room for newer ones (code 78122).",
		"Begin the upload again. One device has at most 8 unfinished uploads; the oldest goes first."},
	{FileExists, "The device wants no file replaced (conflictStrategy reject), and there is one of this name (code 78123).",
		"Delete the file, or upload under another name or with the strategy overwrite."},
	{FileUploadFinished, "The upload is complete already (code 78124).",
		"Nothing: the device counts it as done."},
	{FileDamaged, "The whole file's CRC-64 is not the one that the device announced (code 78125). It was discarded.",
		"Upload it again. If it repeats, look at the device's CRC-64/XZ, and whether the file changed while it was sent."},
	{FileStorageFull, "The device has 1000 files, or all devices together have as much as the installation keeps (code 78127).",
		"Delete files with DeleteDeviceFile; the limit of all together is RELINK_FILE_STORAGE of the function deviceinfo."},
	{FileStreamUnknown, "The device asked for a block of a file that is not part of an update for it.",
		"Nothing, if an update has just ended or was cancelled; otherwise have the device begin with the update's notice again."},
	{JobTaskUnknown, "The device named a task that it does not have (code 460).",
		"Use the taskId of a notice or of thing/job/get; tasks of deleted jobs are gone."},
	{JobTaskFinished, "The device reported on a task that has ended: done, rejected, cancelled or timed out (code 460).",
		"Nothing, if the report came late. A task that timed out needs a longer inProgressTimeoutInMinutes."},
	{JobStatusInvalid, "The report on a task has no status that a device may set, a progress that is not 0 to 100, or details of more than 1 KB (code 460).",
		"Report IN_PROGRESS, SUCCEEDED, FAILED or REJECTED, and keep statusDetails a small object."},
}
