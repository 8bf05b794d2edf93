//! Writes good inputs for every fuzz target to begin with: `FOLDER/TARGET/seed-NN`.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or(io::Error::other("usage: seeds FOLDER"))?;
    for (target, seeds) in tickcast_fuzz::all_seeds() {
        let folder = folder.join(&target);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:02}")), seed)?;
        }
        println!("{target}: {} seeds", seeds.len());
    }
    Ok(())
}
