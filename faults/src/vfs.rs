//! The shim: SQLite's default file system, with [`Watched`] between it and the real one.
//!
//! Owns all `unsafe` code. Each function counts its call, fails it if that is due, else passes it on
//! and notes what was written. It answers for the device as the real file system does, so SQLite
//! writes exactly what it writes without us.
//!
//! The rules of SQLite that every block here rests on (<https://sqlite.org/c3ref/io_methods.html>):
//! it gives `xOpen` room of `szOsFile` bytes, uses one file from one thread at a time, calls nothing
//! on a file whose `pMethods` is null or which is closed, and buffers are as long as it says.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, Once};

use rusqlite::ffi;

use crate::disk::{self, Watched};
use crate::fault::{Call, Fault};
use crate::recording::{Event, FileId, Name};

/// Our part of an open file; the real file system's part lies behind it.
#[repr(C)]
struct Shim {
    base: ffi::sqlite3_file,
    /// A `Box`, or null for a file that nobody watches.
    watched: *mut Open,
}

/// An open file of a watched database.
struct Open {
    disk: Arc<Watched>,
    file: FileId,
}

type File = *mut ffi::sqlite3_file;

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};

/// Makes the shim the default file system of this process, once.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: SQLite starts up by itself here; a registered file system lives for ever, and so
        // does ours, which is leaked. The functions of the real one that ours keeps (dynamic
        // libraries, randomness, time, errors) do not look at the file system they are given.
        let result = unsafe {
            let real = ffi::sqlite3_vfs_find(ptr::null());
            assert!(!real.is_null(), "SQLite has a default file system");
            let ours = ffi::sqlite3_vfs {
                szOsFile: (*real).szOsFile
                    + c_int::try_from(size_of::<Shim>()).expect("it is small"),
                pNext: ptr::null_mut(),
                zName: c"windlass-faults".as_ptr(),
                pAppData: real.cast(),
                xOpen: Some(open),
                xDelete: Some(delete),
                xAccess: Some(access),
                xFullPathname: Some(full_pathname),
                ..*real
            };
            ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1)
        };
        assert_eq!(result, ffi::SQLITE_OK, "SQLite takes the shim");
    });
}

/// Calls a function of the real file system.
macro_rules! real_vfs {
    ($vfs:expr, $function:ident, $($argument:expr),*) => {{
        let real = (*$vfs).pAppData.cast::<ffi::sqlite3_vfs>();
        let function = (*real).$function.expect("every file system has it");
        function(real, $($argument),*)
    }};
}

/// Calls a method of the real file behind ours.
macro_rules! real_file {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let real = behind($file);
        let method = (*(*real).pMethods).$method.expect("the real file system has it");
        method(real $(, $argument)*)
    }};
}

/// The real file behind ours.
///
/// # Safety
/// `file` is one that `open` was given.
unsafe fn behind(file: File) -> File {
    // SAFETY: there is room for both, and a `Shim` keeps the alignment of what follows it.
    unsafe { file.cast::<Shim>().add(1).cast() }
}

/// # Safety
/// `file` was opened by `open`, and is not closed while the reference lives.
unsafe fn of<'a>(file: File) -> Option<&'a mut Open> {
    // SAFETY: either null or our own box, which only `close` takes away; one thread uses it.
    unsafe { (*file.cast::<Shim>()).watched.as_mut() }
}

fn strike(open: Option<&mut Open>, call: Call) -> Option<Fault> {
    open.and_then(|open| open.disk.strike(call))
}

/// # Safety
/// `name` is null or a text that ends with a zero.
unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    let text = unsafe { CStr::from_ptr(name) };
    Some(Path::new(OsStr::from_bytes(text.to_bytes())).to_owned())
}

/// # Safety
/// As [`path_of`].
unsafe fn find(name: *const c_char) -> Option<(Arc<Watched>, Name)> {
    // SAFETY: as the caller says.
    let path = unsafe { path_of(name) }?;
    disk::find(&path)
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: File,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a name and room for a file of `szOsFile` bytes. `pMethods` stays null
    // unless all went well, so that nothing is called on the file otherwise.
    unsafe {
        let shim = file.cast::<Shim>();
        (*shim).base.pMethods = ptr::null();
        (*shim).watched = ptr::null_mut();
        let found = find(name);
        if let Some((disk, _)) = &found
            && disk.strike(Call::Open).is_some()
        {
            // The real one says the same for a failing device as for a full one.
            return ffi::SQLITE_CANTOPEN;
        }
        let was_there = path_of(name).is_some_and(|path| path.exists());
        let result = real_vfs!(vfs, xOpen, name, behind(file), flags, out_flags);
        if result != ffi::SQLITE_OK {
            return result;
        }
        (*shim).base.pMethods = &raw const METHODS;
        if let Some((disk, name)) = found {
            let id = match disk.known(name).filter(|_| was_there) {
                Some(id) => id,
                None if was_there && disk.is_recording() => disk.opened(name, Some(contents(file))),
                None if was_there => disk.opened(name, Some(Vec::new())),
                None => disk.opened(name, None),
            };
            let open = Open { disk, file: id };
            (*shim).watched = Box::into_raw(Box::new(open));
        }
        ffi::SQLITE_OK
    }
}

/// What is in a file. Read through SQLite's own descriptor: closing another one would drop the locks
/// that this process holds on it.
///
/// # Safety
/// `file` is open.
unsafe fn contents(file: File) -> Vec<u8> {
    let mut length = 0;
    // SAFETY: the file is open, and the buffer as long as is said.
    unsafe {
        let sized = real_file!(file, xFileSize, &raw mut length);
        assert_eq!(sized, ffi::SQLITE_OK, "a file that is recorded has a size");
        let mut bytes = vec![0; usize::try_from(length).expect("it fits in memory")];
        let amount = c_int::try_from(length).expect("a test's files are small");
        if amount > 0 {
            let result = real_file!(file, xRead, bytes.as_mut_ptr().cast(), amount, 0);
            assert_eq!(
                result,
                ffi::SQLITE_OK,
                "a file that is recorded can be read"
            );
        }
        bytes
    }
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    // SAFETY: SQLite gives a text.
    unsafe {
        let found = find(name);
        if let Some((disk, _)) = &found
            && disk.strike(Call::Delete).is_some()
        {
            return ffi::SQLITE_IOERR_DELETE;
        }
        let result = real_vfs!(vfs, xDelete, name, sync_folder);
        if let Some((disk, name)) = found.filter(|_| result == ffi::SQLITE_OK) {
            disk.deleted(name, sync_folder != 0);
        }
        result
    }
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    answer: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a text and a place for the answer.
    unsafe {
        if let Some((disk, _)) = find(name)
            && disk.strike(Call::Access).is_some()
        {
            return ffi::SQLITE_IOERR_ACCESS;
        }
        real_vfs!(vfs, xAccess, name, flags, answer)
    }
}

unsafe extern "C" fn full_pathname(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    length: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite gives a text and room for so many bytes.
    unsafe {
        if let Some((disk, _)) = find(name)
            && disk.strike(Call::FullPathname).is_some()
        {
            return ffi::SQLITE_CANTOPEN;
        }
        real_vfs!(vfs, xFullPathname, name, length, out)
    }
}

unsafe extern "C" fn close(file: File) -> c_int {
    // SAFETY: the last call on this file; the box is ours, and nobody has it any more.
    unsafe {
        let struck = strike(of(file), Call::Close);
        let result = real_file!(file, xClose);
        let shim = file.cast::<Shim>();
        if !(*shim).watched.is_null() {
            drop(Box::from_raw((*shim).watched));
            (*shim).watched = ptr::null_mut();
        }
        struck.map_or(result, |_| ffi::SQLITE_IOERR_CLOSE)
    }
}

unsafe extern "C" fn read(file: File, to: *mut c_void, amount: c_int, at: i64) -> c_int {
    // SAFETY: an open file, and room for so many bytes.
    unsafe {
        if strike(of(file), Call::Read).is_some() {
            return ffi::SQLITE_IOERR_READ;
        }
        real_file!(file, xRead, to, amount, at)
    }
}

unsafe extern "C" fn write(file: File, from: *const c_void, amount: c_int, at: i64) -> c_int {
    // SAFETY: an open file, and so many bytes; fewer are written from the same place.
    unsafe {
        let (amount, verdict) = match strike(of(file), Call::Write) {
            None => (amount, ffi::SQLITE_OK),
            // What the real one says when `write(2)` found room for some and then for none.
            Some(Fault::ShortWrite) => (amount / 2, ffi::SQLITE_FULL),
            Some(Fault::Enospc) => return ffi::SQLITE_FULL,
            Some(Fault::Eio | Fault::FailedSync) => return ffi::SQLITE_IOERR_WRITE,
        };
        let result = real_file!(file, xWrite, from, amount, at);
        if let Some(open) = of(file).filter(|open| open.disk.is_recording())
            && result == ffi::SQLITE_OK
        {
            let length = usize::try_from(amount).expect("a length");
            let bytes = std::slice::from_raw_parts(from.cast::<u8>(), length).to_vec();
            let at = u64::try_from(at).expect("a place in a file");
            let file = open.file;
            open.disk.note(Event::Write { file, at, bytes });
        }
        if result == ffi::SQLITE_OK {
            verdict
        } else {
            result
        }
    }
}

unsafe extern "C" fn truncate(file: File, length: i64) -> c_int {
    // SAFETY: an open file.
    unsafe {
        if strike(of(file), Call::Truncate).is_some() {
            return ffi::SQLITE_IOERR_TRUNCATE;
        }
        let result = real_file!(file, xTruncate, length);
        if let Some(open) = of(file).filter(|_| result == ffi::SQLITE_OK) {
            let (file, length) = (open.file, u64::try_from(length).expect("a length"));
            open.disk.note(Event::Truncate { file, length });
        }
        result
    }
}

unsafe extern "C" fn sync(file: File, flags: c_int) -> c_int {
    // SAFETY: an open file.
    unsafe {
        if strike(of(file), Call::Sync).is_some() {
            if let Some(open) = of(file) {
                open.disk.note(Event::FailedSync(open.file));
            }
            return ffi::SQLITE_IOERR_FSYNC;
        }
        let result = real_file!(file, xSync, flags);
        if let Some(open) = of(file).filter(|_| result == ffi::SQLITE_OK) {
            open.disk.note(Event::Sync(open.file));
        }
        result
    }
}

unsafe extern "C" fn file_size(file: File, length: *mut i64) -> c_int {
    // SAFETY: an open file, and a place for the answer.
    unsafe {
        if strike(of(file), Call::FileSize).is_some() {
            return ffi::SQLITE_IOERR_FSTAT;
        }
        real_file!(file, xFileSize, length)
    }
}

unsafe extern "C" fn lock(file: File, level: c_int) -> c_int {
    // SAFETY: an open file.
    unsafe {
        if strike(of(file), Call::Lock).is_some() {
            return ffi::SQLITE_IOERR_LOCK;
        }
        real_file!(file, xLock, level)
    }
}

unsafe extern "C" fn unlock(file: File, level: c_int) -> c_int {
    // SAFETY: an open file.
    unsafe {
        let struck = strike(of(file), Call::Unlock);
        let result = real_file!(file, xUnlock, level);
        struck.map_or(result, |_| ffi::SQLITE_IOERR_UNLOCK)
    }
}

unsafe extern "C" fn check_reserved_lock(file: File, answer: *mut c_int) -> c_int {
    // SAFETY: an open file, and a place for the answer.
    unsafe { real_file!(file, xCheckReservedLock, answer) }
}

unsafe extern "C" fn file_control(file: File, what: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: an open file, and whatever goes with `what`.
    unsafe {
        if strike(of(file), Call::FileControl).is_some() {
            return ffi::SQLITE_IOERR;
        }
        real_file!(file, xFileControl, what, argument)
    }
}

unsafe extern "C" fn sector_size(file: File) -> c_int {
    // SAFETY: an open file.
    unsafe { real_file!(file, xSectorSize) }
}

unsafe extern "C" fn device_characteristics(file: File) -> c_int {
    // SAFETY: an open file.
    unsafe { real_file!(file, xDeviceCharacteristics) }
}

unsafe extern "C" fn shm_map(
    file: File,
    region: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: an open file, and a place for the answer, which is null where there is none.
    unsafe {
        if let Some(fault) = strike(of(file), Call::ShmMap) {
            *out = ptr::null_mut();
            return match fault {
                Fault::Enospc | Fault::ShortWrite => ffi::SQLITE_IOERR_SHMSIZE,
                Fault::Eio | Fault::FailedSync => ffi::SQLITE_IOERR_SHMMAP,
            };
        }
        real_file!(file, xShmMap, region, size, extend, out)
    }
}

unsafe extern "C" fn shm_lock(file: File, offset: c_int, count: c_int, flags: c_int) -> c_int {
    // SAFETY: an open file.
    unsafe {
        if flags & ffi::SQLITE_SHM_LOCK != 0 && strike(of(file), Call::ShmLock).is_some() {
            return ffi::SQLITE_IOERR_SHMLOCK;
        }
        real_file!(file, xShmLock, offset, count, flags)
    }
}

unsafe extern "C" fn shm_barrier(file: File) {
    // SAFETY: an open file.
    unsafe { real_file!(file, xShmBarrier) }
}

unsafe extern "C" fn shm_unmap(file: File, delete: c_int) -> c_int {
    // SAFETY: an open file.
    unsafe { real_file!(file, xShmUnmap, delete) }
}

unsafe extern "C" fn fetch(file: File, at: i64, amount: c_int, out: *mut *mut c_void) -> c_int {
    // SAFETY: an open file, and a place for the answer.
    unsafe { real_file!(file, xFetch, at, amount, out) }
}

unsafe extern "C" fn unfetch(file: File, at: i64, page: *mut c_void) -> c_int {
    // SAFETY: an open file, and a page that `fetch` gave out.
    unsafe { real_file!(file, xUnfetch, at, page) }
}
