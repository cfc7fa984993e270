"""The programs we attach: each pairs its kernel side with the reader of its maps."""
